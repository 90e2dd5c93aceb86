# The set is born, the store is lost before anybody else has the data, and the node that gave birth is cut off. Two other members
# are empty and new, a majority: the set would be born a second time if silence counted.

start
wait primary
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
    replSetInitiate is under way on mongo-node1. (row 20)
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Joining; it was Initiating.
    mongo-node1 is the primary of set mongo.
kill controller
store lose
cut z1
start controller
    The controller started with epoch 1.
apply
    Revision 1 of the federation was applied: 5 changes.
wait 60 seconds
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    Zone z2 had accepted epoch 1: this controller goes on with epoch 2.
    A member of set mongo in zone z2 gets no certificate: mongo-node2 shows a certificate of another CA.
    Set mongo is Degraded; it was Provisioning.
    A member of set mongo in zone z3 gets no certificate: mongo-node3 shows a certificate of another CA.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    The store knew no keyfile of set mongo; the one that its zones have is taken over, and the first administrator gets a new password.
    Set mongo is Joining; it was Degraded.
    mongo-node3 is the primary of set mongo.
    The set's first administrator is made, on mongo-node3. (row 83)
    The make-admin of set mongo failed: nobody answers.
    The last command (make-admin: nobody answers) failed; it is worked out anew soon. (row 44)
    The make-admin of set mongo failed: nobody answers.
    The make-admin of set mongo failed: nobody answers.
    The make-admin of set mongo failed: nobody answers.
    The make-admin of set mongo failed: nobody answers.
    The make-admin of set mongo failed: nobody answers.
    The make-admin of set mongo failed: nobody answers.
    The make-admin of set mongo failed: nobody answers.
expect births 1
heal z1
wait healthy
    Set mongo is Reconfiguring; it was Joining.
    Set mongo is Degraded; it was Reconfiguring.
    The make-admin of set mongo failed: nobody answers.
    The last command (make-admin: nobody answers) failed; it is worked out anew soon. (row 44)
    Set mongo is Reconfiguring; it was Degraded.
    The set's first administrator is made, on mongo-node3. (row 83)
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
