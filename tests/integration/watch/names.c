/* A DNS that a test can take away: a name that ends in .test has the address that the file $NAMES
   says, in lines of a name and an address, and without the file nobody answers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    size_t length = node ? strlen(node) : 0;
    if (length < 5 || strcmp(node + length - 5, ".test") != 0)
        return real(node, service, hints, found);
    FILE *names = fopen(getenv("NAMES"), "r");
    if (!names)
        return EAI_AGAIN;
    char name[256], address[64];
    int result = EAI_NONAME;
    while (fscanf(names, "%255s %63s", name, address) == 2)
        if (strcmp(name, node) == 0) {
            result = real(address, service, hints, found);
            break;
        }
    fclose(names);
    return result;
}
