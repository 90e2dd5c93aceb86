# The primary's own address moves: it steps down when it can't find itself any more, or the configuration follows before that.
begins: healthy

move-address primary
wait healthy
    Set mongo is Reconfiguring; it was Healthy.
    mongo-node1 leads and has moved from address 1a to address 1b, but does not show the certificate for that yet: until it does, nobody could take a new configuration over from it. (row 49)
    mongo-node1 has moved from address 1a to address 1b: the configuration follows, under the same _id. (row 50)
    Set mongo is Healthy; it was Reconfiguring.
    mongo-node1 is reached at address 1b; it was address 1a.
expect births 1
