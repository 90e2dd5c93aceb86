# A set is born: once, by one node, when every zone has proven that its member is new.
runs-on: sandbox

start
wait healthy
    The controller started with epoch 1.
    Revision 1 of the federation was applied: 5 changes.
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    mongo-node3 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    Not yet proven new: mongo-node2, mongo-node3. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Not yet proven new: mongo-node1. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Set mongo is Initiating; it was Provisioning.
    * All members are ready and proven new: mongo-node1 is told to initiate the set with all of them. (row 32)
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Joining; it was Initiating.
    mongo-node1 is the primary of set mongo.
    Set mongo is Reconfiguring; it was Joining.
    The set's first administrator is made, on mongo-node1. (row 83)
    * Set mongo is Healthy; it was Reconfiguring.
expect births 1
expect node1 id 0
expect node3 id 2
expect never row 33
