# The spec adds two members. Each joins without a vote, copies the data, and gets its vote alone: at most one vote changes in one
# reconfiguration.
begins: healthy
runs-on: sandbox

add node4 in z1
    * Revision 2 of the federation was applied: 1 change.
wait healthy
    Set mongo is Joining; it was Healthy.
    * mongo-node4 is ready: it is added without vote and priority, to copy the data first. (row 80)
    * mongo-node4 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node4). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
add node5 in z2
    * Revision 3 of the federation was applied: 1 change.
wait healthy
    Set mongo is Joining; it was Healthy.
    * mongo-node5 is ready: it is added without vote and priority, to copy the data first. (row 80)
    * mongo-node5 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node5). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
expect node4 id 3
expect node5 id 4
expect node5 votes 1
