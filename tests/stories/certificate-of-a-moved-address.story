# A member's address changes. Nobody would believe it there before it shows a certificate that bears the new address: so that is signed and
# brought first, its mongod loads it while it runs, and only then does the configuration follow.
begins: healthy

tell agents
move-address node2
wait row 232
    Set mongo is Reconfiguring; it was Healthy.
wait healthy
    z2: works on revision 15 of epoch 1: 1 members
    z2: mongo-rc2 is brought up to date; a running pod is left as it is (rule 184)
    mongo-node2 has moved from address 2a to address 2b: the configuration follows, under the same _id. (row 50)
    mongo-node2 is reached at address 2b; it was address 2a.
    Set mongo is Healthy; it was Reconfiguring.
expect never row 84
expect node2 id 1
