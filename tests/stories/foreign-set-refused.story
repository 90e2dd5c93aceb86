# Under a member's name stands a disk on which another replica set has lived. Its mongod is not started and nothing else is changed
# while it is there; with a disk of its own the set goes on.
begins: healthy

foreign-disk node3
wait row 10
    Set mongo is Degraded; it was Healthy.
    mongo-node3 belongs to another replica set (disk mongodb-disk3 belongs to replica set ffffffffffffffffffffffff, not 000000003ea527898334036b: mongo-rc3 is set to no pod), so nothing is changed: give it another disk or take it out of the spec. (row 10)
    mongo-node3 belongs to another replica set: give it another disk or take it out of the spec. (row 203)
wait 30 seconds
expect row 203
expect never row 60
own-disk node3
wait healthy
    mongo-node3 lost its data: it loses its vote until it has copied the data from the others. (row 60)
    mongo-node3 has another disk than the one that held its data: it is kept from starting until its vote is taken away. (row 213)
    Set mongo is Joining; it was Degraded.
    mongo-node3 has the data: it gets its vote. (row 81)
    Set mongo is Reconfiguring; it was Joining.
    Priorities, tags or settings differ from the spec and are set (mongo-node3). (row 82)
    Set mongo is Healthy; it was Reconfiguring.
expect node3 id 2
