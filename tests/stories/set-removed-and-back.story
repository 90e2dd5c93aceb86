# The spec takes the whole set away: Services and ReplicationControllers go, disks stay. Wanted again it is the same set, but its
# addresses went with its Services: a person gives them back, or no member finds another.
begins: healthy

remove set
    Revision 2 of the federation was applied: 1 change.
wait row 2
    Set mongo is Removed; it was Healthy.
    The spec takes set mongo away: its Services and ReplicationControllers go, its disks are kept. (row 1)
    No primary of set mongo is seen; it was mongo-node1.
want set
    Revision 3 of the federation was applied: 1 change.
wait phase AddressesLost
    Set mongo is QuorumLost; it was Removed.
    Too many voters are down for a majority: mongo-node1, mongo-node2, mongo-node3. Nothing is forced: bring them back. (row 42)
    Set mongo is AddressesLost; it was QuorumLost.
    Voters run at other addresses than the configuration names (mongo-node1, mongo-node2, mongo-node3), so that no primary can be elected and no reconfiguration is possible without force: give the old addresses back. (row 41)
give-addresses-back
kill node1
kill node2
kill node3
wait healthy
    Set mongo is QuorumLost; it was AddressesLost.
    Too many voters are down for a majority: mongo-node1, mongo-node2, mongo-node3. Nothing is forced: bring them back. (row 42)
    Set mongo is Degraded; it was QuorumLost.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node1 is the primary of set mongo.
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
expect node1 id 0
