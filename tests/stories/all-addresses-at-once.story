# All load balancers hand out other addresses at one stroke, before the controller's eyes. The primary still stands, so nothing is
# lost: it is waited for until it shows the certificate for its new address, and only then the configuration follows.
begins: healthy

move-all-addresses
wait healthy
    Set mongo is Reconfiguring; it was Healthy.
    mongo-node1 leads and has moved from address 1a to address 1b, but does not show the certificate for that yet: until it does, nobody could take a new configuration over from it. (row 49)
    mongo-node1 has moved from address 1a to address 1b: the configuration follows, under the same _id. (row 50)
    mongo-node1 is reached at address 1b; it was address 1a.
    mongo-node2 is reached at address 2a; it was address 2b.
    mongo-node3 is reached at address 3a; it was address 3b.
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
