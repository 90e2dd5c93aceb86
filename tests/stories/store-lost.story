# The controller's store is lost entirely. The set lives on; the new controller finds it by its disks and members, takes it over
# as it is, and gives no second birth.
begins: healthy

kill controller
store lose
start controller
    The controller started with epoch 1.
apply
    Revision 1 of the federation was applied: 5 changes.
wait healthy
    Set mongo is Provisioning; it was not looked at before.
    No report yet from zones z1, z2, z3: the set is initiated only when every zone has proven that its member is new. To start without one, take its members out of the spec. (row 30)
    Zone z2 had accepted epoch 1: this controller goes on with epoch 2.
    A member of set mongo in zone z2 gets no certificate: mongo-node2 shows a certificate of another CA.
    Set mongo is Degraded; it was Provisioning.
    The store knew no keyfile of set mongo; the one that its zones have is taken over, and the first administrator gets a new password.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    A member of set mongo in zone z1 gets no certificate: mongo-node1 shows a certificate of another CA.
    Set mongo is Joining; it was Degraded.
    mongo-node1 is the primary of set mongo.
    The set's first administrator is made, on mongo-node1. (row 83)
    Set mongo is Reconfiguring; it was Joining.
    The make-admin of set mongo failed: nobody answers.
    Set mongo is Degraded; it was Reconfiguring.
    The last command (make-admin: nobody answers) failed; it is worked out anew soon. (row 44)
    Set mongo is Reconfiguring; it was Degraded.
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
expect node1 id 0
expect node2 id 1
expect node3 id 2
