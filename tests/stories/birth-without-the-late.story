# One member's pod finds no node to run on. Its disk is proven new, so nobody can be hurt: after a minute the set is born of the
# majority that is ready, and the late one is added when it comes.

evict node3
start
wait phase Joining
    The controller started with epoch 1.
    Revision 1 of the federation was applied: 5 changes.
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    mongo-node3 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    Not yet proven new: mongo-node2, mongo-node3. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Set mongo is Initiating; it was Provisioning.
    A majority has been ready for a minute and the others are proven new: mongo-node1 is told to initiate the set; the late are added afterwards. (row 33)
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Joining; it was Initiating.
    mongo-node1 is the primary of set mongo.
wait 60 seconds
    The set's first administrator is made, on mongo-node1. (row 83)
expect row 90
expect births 1
readmit node3
wait healthy
    mongo-node3 is ready: it is added without vote and priority, to copy the data first. (row 80)
    mongo-node3 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node3). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
expect node3 votes 1
