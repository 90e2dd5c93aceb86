/* What a file that is called a kubeconfig may hold, and what an exec plugin may print: no bytes may crash the
 * reader or take long; what is read keeps what the header promises. A byte 0x1e parts the two. */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "zone-agent/kubernetes/exec_credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const struct kube_config *config)
{
    assert(config->source && config->server && config->namespace_name);
    assert(strncasecmp(config->server, "http", 4) == 0 && config->server[strlen(config->server) - 1] != '/');
    assert(!(config->certificate || config->certificate_file) == !(config->key || config->key_file));
    assert(!config->ca || strstr(config->ca, "-----BEGIN "));
    assert(!config->token || !strpbrk(config->token, "\r\n \t"));
    assert(!config->exec.api_version || config->exec.command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *cut = size ? memchr(data, 0x1e, size) : NULL;
    size_t first = cut ? (size_t)(cut - text) : size;
    struct kube_config config;
    struct exec_credential credential;
    struct error err = {.code = ERROR_NONE};
    if (kubeconfig_parse(text, first, "fuzz", "/folder", NULL, &config, &err) == 0) {
        struct buffer info;
        buffer_init(&info, 0);
        check_config(&config);
        if (config.exec.api_version)
            assert(exec_info_write(&config, &info, &err) == 0);
        buffer_finish(&info);
        kube_config_finish(&config);
    } else {
        assert(err.code != ERROR_NONE && *err.message);
    }
    if (cut && exec_credential_read(cut + 1, size - first - 1, "client.authentication.k8s.io/v1", &credential,
                                    &err) == 0) {
        assert(credential.token || (credential.certificate && credential.key));
        exec_credential_finish(&credential);
    }
    return 0;
}
