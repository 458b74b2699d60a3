"""`python -m dd_ray.cli`."""

from dd_ray.cli.app import main

main()
