# A whole zone is gone for a minute: machines, agent, member. The others go on with two of three votes; nothing is taken from the
# zone, and when it comes back its member rejoins with its data and its id.
begins: healthy

lose z2
wait row 210
    Set mongo is Degraded; it was Healthy.
    The agent of zone z2 has fallen silent; its members are left as they are.
    The agent of zone z2 is silent and the primary can't reach mongo-node2: the zone is taken for failed. (row 210)
wait 30 seconds
expect phase Degraded
return z2
wait healthy
    Set mongo is Healthy; it was Degraded.
expect node2 id 1
expect never row 60
expect never row 72
