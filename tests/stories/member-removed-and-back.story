# A member is taken out of the spec: it loses its vote, then its place; its disk is kept. It comes back under its ordinal with
# its disk, and a fresh id.
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
remove node4
    * Revision 3 of the federation was applied: 1 change.
wait healthy
    Set mongo is Reconfiguring; it was Healthy.
    * mongo-node4 is to leave or to have no vote: its vote and priority are taken away. (row 72)
    * mongo-node4 has no vote any more: it is taken out of the configuration. (row 74)
    Set mongo is Degraded; it was Reconfiguring.
    Set mongo is Healthy; it was Degraded.
want node4
    * Revision 4 of the federation was applied: 1 change.
wait healthy
    Set mongo is Joining; it was Healthy.
    * mongo-node4 is ready: it is added without vote and priority, to copy the data first. (row 80)
    * mongo-node4 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node4). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
expect node4 id 4
expect births 1
