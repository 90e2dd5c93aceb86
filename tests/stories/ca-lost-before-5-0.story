# Seeds 38 and 60: the controller's store is lost, and with it the CA. Servers before 5.0 load certificates at their start alone, and those
# with the one CA don't believe those with the other, so that the controller restarted the first member into being alone, and commands to
# the others failed for ever. Now nothing is restarted, and a person is told what to do: restart all at one moment.
version: 4.0
begins: healthy

kill controller
store lose
start controller
    The controller started with epoch 1.
apply
    Revision 1 of the federation was applied: 5 changes.
wait row 55
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    Zone z3 had accepted epoch 1: this controller goes on with epoch 2.
    A member of set mongo in zone z3 gets no certificate: mongo-node3 shows a certificate of another CA.
    Set mongo is Degraded; it was Provisioning.
    The store knew no keyfile of set mongo; the one that its zones have is taken over, and the first administrator gets a new password.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    A member of set mongo in zone z2 gets no certificate: mongo-node2 shows a certificate of another CA.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node1 is the primary of set mongo.
    The set's first administrator is made, on mongo-node1. (row 83)
    The make-admin of set mongo failed: nobody answers.
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node1 shows a certificate of a CA that was lost with the controller's store, and loads another only when it is started (before 5.0); the controller can't dial it, and those with the one CA don't believe those with the other: bring the store back, or restart all members of the set at one moment (an outage of seconds). (row 55)
expect never row 84
wait healthy
    No primary of set mongo is seen; it was mongo-node1.
    Set mongo is QuorumLost; it was Degraded.
    Set mongo is Degraded; it was QuorumLost.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is QuorumLost; it was Degraded.
    Too many voters are down for a majority: mongo-node1, mongo-node3. Nothing is forced: bring them back. (row 42)
    Set mongo is Degraded; it was QuorumLost.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 is the primary of set mongo.
    The set's first administrator is made, on mongo-node2. (row 83)
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
