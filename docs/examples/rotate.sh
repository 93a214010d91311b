#!/usr/bin/env bash
# Replace the API key in a file by its successor: for cron, as often as the policy asks. Needs curl and python3.
#   ODOO_URL=https://odoo.example.com ODOO_DB=production ODOO_KEY_FILE=/etc/shop/odoo.key rotate.sh
# The old key goes on working until the new one is used, and for its grace; if this is interrupted, run it again.
# Ends with 1 if there is a successor already whose secret is not told any more: somebody else has rotated the key.
set -euo pipefail
umask 077
# the key goes by standard input: on the command line every user of this machine could read it
answer=$(printf 'header = "Authorization: Bearer %s"\n' "$(tr -d '[:space:]' < "$ODOO_KEY_FILE")" |
    curl --fail --silent --show-error --max-time 30 --config - --request POST \
        --header "X-Odoo-Database: $ODOO_DB" "${ODOO_URL%/}/api_guard/v1/key/rotate")
secret=$(printf '%s' "$answer" | python3 -c 'import json, sys; print(json.load(sys.stdin)["secret"] or "")')
if [ -z "$secret" ]; then # told until the successor is used for the first time
    echo "The key was rotated elsewhere, and ends soon." >&2
    exit 1
fi
cp --preserve=mode,ownership "$ODOO_KEY_FILE" "$ODOO_KEY_FILE.new"
printf '%s\n' "$secret" > "$ODOO_KEY_FILE.new"
mv "$ODOO_KEY_FILE.new" "$ODOO_KEY_FILE" # at once: whoever reads the file finds the old key or the new one
echo "Rotated."
