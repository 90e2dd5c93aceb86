# The CA is exchanged in three steps: a second one is believed, then it signs, then the first is no longer believed. After each, every
# member shows a certificate that was made since, before the next is allowed; nobody is stopped for it.
begins: healthy

exchange ca
wait 60 seconds
    Set mongo is Reconfiguring; it was Healthy.
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    Set mongo is Healthy; it was Reconfiguring.
    Set mongo is Reconfiguring; it was Healthy.
    Set mongo is Healthy; it was Reconfiguring.
wait healthy
expect never row 84
expect births 1
