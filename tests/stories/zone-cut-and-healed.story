# A zone is cut off, but lives: its agent is silent, and nothing is decided from silence.
begins: healthy
runs-on: sandbox

cut z3
wait phase Degraded
    Set mongo is Degraded; it was Healthy.
wait row 210
    * The agent of zone z3 has fallen silent; its members are left as they are.
    The agent of zone z3 is silent and the primary can't reach mongo-node3: the zone is taken for failed. (row 210)
heal z3
wait healthy
    No word from the agent of zone z3, so nothing is known of mongo-node3 now; nothing is decided from that. (row 211)
    * Set mongo is Healthy; it was Degraded.
expect node3 id 2
expect never row 60
