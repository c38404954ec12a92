"""The Django application of test_django.py."""
