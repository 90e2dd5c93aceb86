# A member comes back on an empty disk. If it voted before it has the data, a write that a majority acknowledged could be lost:
# so its vote is taken before it starts, and given back when it has copied the data.
begins: healthy
runs-on: sandbox

empty-disk node3
wait row 213
    Set mongo is Degraded; it was Healthy.
    * mongo-node3 lost its data: it loses its vote until it has copied the data from the others. (row 60)
    mongo-node3 has another disk than the one that held its data: it is kept from starting until its vote is taken away. (row 213)
wait healthy
    Set mongo is Joining; it was Degraded.
    * mongo-node3 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node3). (row 82)
    * Set mongo is Healthy; it was Reconfiguring.
expect node3 id 2
expect node3 votes 1
