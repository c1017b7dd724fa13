"""`python -m course.grade LECTURE`."""

from course.grade import main

main()
