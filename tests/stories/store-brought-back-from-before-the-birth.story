# An old image of the store is brought back, from before the set was born, while one zone is silent. All that the controller
# remembers says: give birth. It must not, before every zone has spoken.

start
wait 1 seconds
    The controller started with epoch 1.
    Revision 1 of the federation was applied: 5 changes.
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    mongo-node3 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
store copy
wait healthy
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    Not yet proven new: mongo-node2, mongo-node3. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Not yet proven new: mongo-node1. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Set mongo is Initiating; it was Provisioning.
    All members are ready and proven new: mongo-node1 is told to initiate the set with all of them. (row 32)
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Joining; it was Initiating.
    mongo-node1 is the primary of set mongo.
    Set mongo is Reconfiguring; it was Joining.
    The set's first administrator is made, on mongo-node1. (row 83)
    Set mongo is Healthy; it was Reconfiguring.
kill controller
store restore
silence z1
start controller
    The controller started with epoch 2.
apply
wait 60 seconds
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    Set mongo is Degraded; it was Provisioning.
    The store knew no keyfile of set mongo; the one that its zones have is taken over, and the first administrator gets a new password.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
expect births 1
hear z1
wait healthy
    mongo-node1 is the primary of set mongo.
    Set mongo is Reconfiguring; it was Degraded.
    The set's first administrator is made, on mongo-node1. (row 83)
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
expect never row 23
