"""The file_sd file, parsed as strictly as its readers do."""

import json
import threading

import yaml


def parse(data, suffix):
    """Returns the target groups; raises unless the file is complete and well-formed."""
    groups = json.loads(data) if suffix == ".json" else yaml.safe_load(data)
    assert isinstance(groups, list), f"not a list: {data!r}"
    for group in groups:
        assert set(group) == {"targets", "labels"}, group
        assert all(isinstance(text, str) for text in [*group["targets"], *group["labels"].values()]), group
    return groups


def read(path):
    return parse(path.read_bytes(), path.suffix)


def file_and_cache(path):
    """Returns the names of the file and of the cache beside it: all that the program leaves in the directory."""
    return [f".{path.name}.cache", path.name]


def sorted_groups(groups):
    return sorted(groups, key=lambda group: json.dumps(group, sort_keys=True))


class Reader(threading.Thread):
    """Reads the file in a tight loop and records each distinct content."""

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
        except Exception as error:  # the file was missing, empty or truncated
            self.error = error

    def stop(self):
        """Returns all recorded contents in order; fails if one of them was incomplete."""
        self._done.set()
        self.join()
        assert self.error is None, f"a read failed with {self.error!r} after {len(self.contents)} contents"
        return self.contents
