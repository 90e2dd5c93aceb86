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
    Set mongo is Degraded; it was Provisioning.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Joining; it was Degraded.
    mongo-node1 is the primary of set mongo.
    Set mongo is Degraded; it was Joining.
    Set mongo is Healthy; it was Degraded.
expect births 1
expect node1 id 0
expect node2 id 1
expect node3 id 2
