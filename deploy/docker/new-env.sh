#!/bin/sh
# Prints a new `.env` for docker compose, with secrets drawn from the system. Writes nothing: the caller redirects it.
set -eu

key() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }

cat <<EOF
POSTGRES_PASSWORD=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
VAULT_KEYS=v1:$(key)
NIK_INDEX_KEY=$(key)
JWT_SIGNING_KEY=$(key)
PASS_KEYS=k1:$(key)
BANK_SECRETS=sandbox:$(key)
TICKET_SIGNING_KEY=$(key)
LEAF_SIGNING_KEY=$(key)
AUDIT_SIGNING_KEY=$(key)
SANDBOX=1
EOF
