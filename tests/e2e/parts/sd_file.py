"""The file, read as strictly as its readers do."""

import json
import threading

import yaml


def parse(data, suffix):
    """The target groups; anything less than a whole, well-formed file raises."""
    groups = json.loads(data) if suffix == ".json" else yaml.safe_load(data)
    assert isinstance(groups, list), f"not a list: {data!r}"
    for group in groups:
        assert set(group) == {"targets", "labels"}, group
        assert all(isinstance(text, str) for text in [*group["targets"], *group["labels"].values()]), group
    return groups


def read(path):
    return parse(path.read_bytes(), path.suffix)


def with_cache(path):
    """The names of the file and of the cache beside it: all that a program leaves in the directory."""
    return [f".{path.name}.cache", path.name]


def in_order(groups):
    return sorted(groups, key=lambda group: json.dumps(group, sort_keys=True))


class Reader(threading.Thread):
    """Reads the file over and over, as fast as it can, and remembers each content it met."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.contents, self.error = path, [], None
        self._done = threading.Event()
        self.start()

    def run(self):
        try:
            while not self._done.is_set():
                data = self.path.read_bytes()
                if not self.contents or data != self.contents[-1]:
                    parse(data, self.path.suffix)
                    self.contents.append(data)
        except Exception as error:  # a missing, empty or cut file ends up here
            self.error = error

    def stop(self):
        """Every content there was, in order; fails if one of them was not whole."""
        self._done.set()
        self.join()
        assert self.error is None, f"a reader met {self.error!r} after {len(self.contents)} contents"
        return self.contents
