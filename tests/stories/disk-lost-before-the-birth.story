# The node that was told to initiate goes down before it could, and another one loses its disk meanwhile. Once the first answers that it
# has not initiated, the other has lost nothing: it is started on its new disk. Before, it was held for ever, and of two voters no
# majority was ever ready again (seed 3726).

start
wait phase Initiating
    The controller started with epoch 1.
    Revision 1 of the federation was applied: 5 changes.
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    mongo-node1 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    mongo-node3 is not started on a new disk before every zone has reported, so that a set that exists is not taken for a new one. (row 215)
    Not yet proven new: mongo-node2, mongo-node3. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Not yet proven new: mongo-node1. Proof is a disk that was never used, or a mongod without a configuration on a disk that its agent made. On a disk that existed before no set is born: give the member another one. (row 31)
    Set mongo is Initiating; it was Provisioning.
    All members are ready and proven new: mongo-node1 is told to initiate the set with all of them. (row 32)
lose z1
wait 10 seconds
    replSetInitiate is under way on mongo-node1. (row 20)
    The initiate of set mongo failed: nobody answers.
    replSetInitiate on mongo-node1 failed: initiate: nobody answers; it is tried again soon, on the same node. (row 21)
    mongo-node1 was told to initiate the set and has not answered since; only it may be told again. (row 24)
    No word from the agent of zone z1, so nothing is known of mongo-node1 now; nothing is decided from that. (row 211)
    The agent of zone z1 has fallen silent; its members are left as they are.
empty-disk node3
wait 10 seconds
    mongo-node3 has another disk than the one that held its data: it is kept from starting until its vote is taken away. (row 213)
return z1
wait healthy
    mongo-node1 was chosen to initiate the set and answers that it has no configuration: it is told to initiate. (row 22)
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Degraded; it was Initiating.
    Set mongo is Joining; it was Degraded.
    mongo-node2 is the primary of set mongo.
    mongo-node3 is ready: it is added without vote and priority, to copy the data first. (row 80)
    The set's first administrator is made, on mongo-node2. (row 83)
    mongo-node3 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node3). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
expect node3 votes 1
