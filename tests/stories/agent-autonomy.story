# The controller is away. The agents go on: a member that dies is started again, a Service that somebody deletes is made anew.
# When the controller comes back it finds what is, and changes nothing but what it must.
begins: healthy

kill controller
tell agents
kill node2
wait node2 SECONDARY
    z2: mongo-node2 waits: pod mongo-rc2-pod is not running yet (rule 192)
    z2: mongo-node2 waits: pod mongo-rc2-pod does not listen yet (rule 193)
delete-service node3
wait 20 seconds
    z3: mongo-svc-c is created (rule 140)
hush agents
start controller
    The controller started with epoch 2.
wait healthy
    Set mongo is Degraded; it was not looked at before.
    No primary is seen: the members are electing one, or can't be seen. (row 43)
    mongo-node1 is the primary of set mongo.
    Set mongo is Reconfiguring; it was Degraded.
    mongo-node3 has moved from address 3a to address 3b: the configuration follows, under the same _id. (row 50)
    Set mongo is Degraded; it was Reconfiguring.
    mongo-node3 is reached at address 3b; it was address 3a.
    Set mongo is Reconfiguring; it was Degraded.
    Set mongo is Healthy; it was Reconfiguring.
expect births 1
expect node3 id 2
