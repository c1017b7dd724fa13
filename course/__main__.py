"""`python -m course check|generate|release`."""

from course.build import main

main()
