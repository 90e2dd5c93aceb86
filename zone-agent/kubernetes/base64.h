/* Base64 (RFC 4648, section 4), as kubeconfigs and ExecCredentials hold PEM texts. */
#ifndef ATOLL_KUBERNETES_BASE64_H
#define ATOLL_KUBERNETES_BASE64_H

#include <stddef.h>

/* The bytes with a zero behind them, to be freed (after clearing them, when they are secret); NULL when
 * memory is out or `text` is no base64. White space between the characters is skipped, as writers of YAML
 * break long lines. */
char *base64_decode(const char *text, size_t *length);

/* The text, to be freed; NULL when memory is out. */
char *base64_encode(const char *data, size_t length);

#endif
