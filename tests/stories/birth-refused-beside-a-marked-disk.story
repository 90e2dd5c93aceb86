# Before the birth one of the disks carries the mark of a replica set. Somebody lost a store, or took a wrong disk: the set may
# exist, so it is not born until a person gives the member a disk of its own.

foreign-disk node3
start
wait row 12
    The controller started with epoch 1.
    Revision 1 of the federation was applied: 5 changes.
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    The disk of mongo-node3 carries the id of a replica set, so set mongo exists and is not initiated again; none of its members shows its configuration yet. (row 12)
wait 60 seconds
    mongo-node2 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
expect births 0
own-disk node3
wait healthy
    Not yet proven new: mongo-node2. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Not yet proven new: mongo-node3. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Set mongo is Initiating; it was Provisioning.
    All members are ready and proven new: mongo-node1 is told to initiate the set with all of them. (row 32)
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Degraded; it was Initiating.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 is the primary of set mongo.
    The set's first administrator is made, on mongo-node2. (row 83)
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
