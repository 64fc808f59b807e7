"""report.html."""


def save(folder):
    pass
