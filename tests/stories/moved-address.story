# A load balancer hands out another address: the configuration follows it, under the same member id, and writes go on.
begins: healthy
runs-on: sandbox

move-address node2
wait healthy
    Set mongo is Reconfiguring; it was Healthy.
    * mongo-node2 has moved from address 2a to address 2b: the configuration follows, under the same _id. (row 50)
    mongo-node2 is reached at address 2b; it was address 2a.
    * Set mongo is Healthy; it was Reconfiguring.
expect node2 id 1
expect never row 80
