# All load balancers hand out other addresses while there is no controller. No member finds another: no primary, and no
# reconfiguration without force. The next controller says so, forces nothing, and goes on when the old addresses are given back.
begins: healthy

kill controller
move-all-addresses
wait 60 seconds
start controller
    The controller started with epoch 2.
wait phase AddressesLost
    Set mongo is Degraded; it was not looked at before.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is QuorumLost; it was Degraded.
    Too many voters are down for a majority: mongo-node1, mongo-node2, mongo-node3. Nothing is forced: bring them back. (row 42)
    Set mongo is AddressesLost; it was QuorumLost.
    Voters run at other addresses than the configuration names (mongo-node1, mongo-node2, mongo-node3), so that no primary can be elected and no reconfiguration is possible without force: give the old addresses back. (row 41)
wait 30 seconds
expect births 1
give-addresses-back
# A mongod that did not find itself in its configuration looks for itself again when it starts.
kill node1
kill node2
kill node3
wait healthy
    Set mongo is QuorumLost; it was AddressesLost.
    Too many voters are down for a majority: mongo-node1, mongo-node2, mongo-node3. Nothing is forced: bring them back. (row 42)
    Set mongo is Degraded; it was QuorumLost.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is QuorumLost; it was Degraded.
    Too many voters are down for a majority: mongo-node2, mongo-node3. Nothing is forced: bring them back. (row 42)
    Set mongo is Degraded; it was QuorumLost.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node1 is the primary of set mongo.
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
