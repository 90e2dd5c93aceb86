# The keyfile is exchanged: first all get old and new key, then the new one alone, each member restarted when all others are well, the
# primary last.
begins: healthy

rotate keyfile
    The keyfile of set mongo is exchanged, member by member: a second key comes.
wait row 84
    Set mongo is Reconfiguring; it was Healthy.
    mongo-node2 runs with a keyfile or certificate that is not the newest: it is restarted, and the others wait until it is back. (row 84)
wait 60 seconds
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node3 must be restarted for its new keyfile or certificate, but not while another is unwell or no majority would be left without it. Certificates end: where that lasts for weeks, restart it by hand. (row 86)
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node3 runs with a keyfile or certificate that is not the newest: it is restarted, and the others wait until it is back. (row 84)
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node1 must be restarted for its new keyfile or certificate, but not while another is unwell or no majority would be left without it. Certificates end: where that lasts for weeks, restart it by hand. (row 86)
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node1 is the last that runs with a keyfile or certificate that is not the newest, and is primary: it is told to step down before its restart. (row 85)
    Set mongo is Degraded; it was Reconfiguring.
    No primary of set mongo is seen; it was mongo-node1.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 is the primary of set mongo.
    mongo-node1 runs with a keyfile or certificate that is not the newest: it is restarted, and the others wait until it is back. (row 84)
    Set mongo is Degraded; it was Reconfiguring.
    Set mongo is Healthy; it was Degraded.
    The keyfile of set mongo is exchanged, member by member: the old key goes.
    Set mongo is Reconfiguring; it was Healthy.
    Set mongo is Degraded; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Degraded.
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node2 must be restarted for its new keyfile or certificate, but not while another is unwell or no majority would be left without it. Certificates end: where that lasts for weeks, restart it by hand. (row 86)
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 is the last that runs with a keyfile or certificate that is not the newest, and is primary: it is told to step down before its restart. (row 85)
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node3 is the primary of set mongo.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 runs with a keyfile or certificate that is not the newest: it is restarted, and the others wait until it is back. (row 84)
    Set mongo is Degraded; it was Reconfiguring.
    Set mongo is Healthy; it was Degraded.
wait healthy
expect births 1
