# MongoDB 4.0 knows no configuration terms and does not say whether a configuration is committed: that is worked out from what
# the members have, and one vote at a time is our rule, not the server's.
begins: healthy
version: 4.0

add node4 in z1
    Revision 2 of the federation was applied: 1 change.
wait healthy
    Set mongo is Joining; it was Healthy.
    mongo-node4 is ready: it is added without vote and priority, to copy the data first. (row 80)
    mongo-node4 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node4). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
move-address node2
wait healthy
    Set mongo is Reconfiguring; it was Healthy.
    mongo-node2 has moved from address 2a to address 2b, and loads the certificate for that only when it is started: it is restarted, and then followed. (row 58)
    Set mongo is Degraded; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 has moved from address 2a to address 2b: the configuration follows, under the same _id. (row 50)
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node2 is reached at address 2b; it was address 2a.
    Set mongo is Healthy; it was Degraded.
kill primary
wait healthy
    Set mongo is Degraded; it was Healthy.
    No primary of set mongo is seen; it was mongo-node1.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Healthy; it was Degraded.
    mongo-node2 is the primary of set mongo.
remove node4
    Revision 3 of the federation was applied: 1 change.
wait healthy
    Set mongo is Reconfiguring; it was Healthy.
    mongo-node4 is to leave or to have no vote: its vote and priority are taken away. (row 72)
    mongo-node4 has no vote any more: it is taken out of the configuration. (row 74)
    Set mongo is Degraded; it was Reconfiguring.
    Set mongo is Healthy; it was Degraded.
expect births 1
