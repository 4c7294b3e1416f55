#!/bin/sh
# Says the name under which this machine's page is found: four digits that stay, and differ from those of the next device.
# (edge/settings/announced_name.py says the same.)
set -eu
digits=$(sha256sum /etc/machine-id | cut -c 1-4)
printf 'leukoscope-%s\n' "$digits"
