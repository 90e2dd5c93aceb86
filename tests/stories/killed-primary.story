# The primary's mongod dies. The others elect; it comes back with its data, and nothing is reconfigured.
begins: healthy
runs-on: sandbox

kill primary
wait phase Degraded
    * Set mongo is Degraded; it was Healthy.
    No primary of set mongo is seen; it was mongo-node1.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
wait healthy
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node2 is the primary of set mongo.
    * Set mongo is Healthy; it was Reconfiguring.
expect never row 60
expect never row 80
