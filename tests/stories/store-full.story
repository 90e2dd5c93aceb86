# The controller's disk is full. What can't be remembered is not done: a member that should be added waits, the set serves on.
begins: healthy

add node4 in z1
    Revision 2 of the federation was applied: 1 change.
store fill
wait 60 seconds
    Set mongo is Joining; it was Healthy.
    Nothing can be remembered, so nothing is changed any more: the disk is full.
    mongo-node4 is ready: it is added without vote and priority, to copy the data first. (row 80)
expect never row 81
store free
wait healthy
    The store takes writes again.
    mongo-node4 is ready: it is added without vote and priority, to copy the data first. (row 80)
    mongo-node4 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node4). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
expect node4 id 3
