# One zone's agent says nothing. Nobody can know whether its member is new, so the set is not born without it: two sets of one
# name could come to be. When the zone speaks, the birth goes on by itself.

silence z3
start
wait row 30
    The controller started with epoch 1.
    Revision 1 of the federation was applied: 5 changes.
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
wait 120 seconds
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    mongo-node2 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
expect births 0
hear z3
wait healthy
    Not yet proven new: mongo-node3. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Set mongo is Initiating; it was Provisioning.
    All members are ready and proven new: mongo-node1 is told to initiate the set with all of them. (row 32)
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Degraded; it was Initiating.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node1 is the primary of set mongo.
    The set's first administrator is made, on mongo-node1. (row 83)
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
