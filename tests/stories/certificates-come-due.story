# Certificates that are due are renewed: brought to each member and loaded while it runs. Nobody is stopped, nobody steps down, and the
# configuration stays as it is.
begins: healthy
certificates-due: 15

kill agent z1
start agent z1
tell agents
wait 60 seconds
    Set mongo is Degraded; it was Healthy.
    No primary of set mongo is seen; it was mongo-node1.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    Set mongo is Healthy; it was Degraded.
    mongo-node1 is the primary of set mongo.
    Set mongo is Reconfiguring; it was Healthy.
    z1: works on revision 15 of epoch 1: 1 members
    z1: mongo-rc1 is brought up to date; a running pod is left as it is (rule 184)
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    z3: works on revision 16 of epoch 1: 1 members
    z3: mongo-rc3 is brought up to date; a running pod is left as it is (rule 184)
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    z2: works on revision 17 of epoch 1: 1 members
    z2: mongo-rc2 is brought up to date; a running pod is left as it is (rule 184)
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    z1: works on revision 18 of epoch 1: 1 members
    z1: mongo-rc1 is brought up to date; a running pod is left as it is (rule 184)
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    z3: works on revision 19 of epoch 1: 1 members
    z3: mongo-rc3 is brought up to date; a running pod is left as it is (rule 184)
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    z2: works on revision 20 of epoch 1: 1 members
    z2: mongo-rc2 is brought up to date; a running pod is left as it is (rule 184)
    Set mongo is Healthy; it was Reconfiguring.
hush agents
wait healthy
expect never row 84
expect never row 85
expect births 1
