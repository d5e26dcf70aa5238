"""Hostile files through what reads them: `python tests/hostile.py FOLDER MUCH` prints what came of it as JSON.

In a process of its own, watched by `watched.py`. In FOLDER: `in/` with the files, `out/` for all that is written, a
good checkpoint and a good index beside them.
"""

import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

from addnet.config import compose
from addnet.errors import UserError

SECONDS = 60  # a file may take


class Feeder:
    """Feeds files one by one; keeps what came of them and what should never come of any."""

    def __init__(self):
        self.wrong, self.outcomes, self.seconds, self.slowest = [], {}, Counter(), ("", 0.0)

    def __call__(self, kind, function, files, *, seconds=SECONDS):
        counted = self.outcomes.setdefault(kind, Counter())
        for file in files:
            name = f"{kind} {Path(file).name[:60]!r}"
            began, spent = time.monotonic(), sum(os.times()[:4])
            signal.alarm(seconds)
            try:
                outcome = function(file)
            except (UserError, SystemExit) as error:
                outcome = "refused"
                if len(str(error)) > 3000:
                    self.wrong.append(f"{name}: a message of {len(str(error))} characters")
            except BaseException as error:
                outcome = "error"
                where = traceback.extract_tb(error.__traceback__)[-1]
                self.wrong.append(
                    f"{name}: {type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"
                )
            finally:
                signal.alarm(0)
            self.slowest = max(self.slowest, (name, time.monotonic() - began), key=lambda pair: pair[1])
            self.seconds[kind] += sum(os.times()[:4]) - spent
            counted[outcome] += 1


@cache
def _composed(name, *overrides):
    return compose(overrides, config_name=name)


def _cfg(name, out, *overrides, **values):
    """A config, composed once for all files; the values may be anything, and are not read as overrides."""
    cfg = _composed(name, *overrides).copy()
    values |= {"paths.output_root": str(out), "paths.output_dir": str(out / name)}
    for key, value in values.items():
        OmegaConf.update(cfg, key, str(value))
    return cfg


def feed(folder, much):
    """All commands, each with the kinds that it reads."""
    files, out = folder / "in", folder / "out"
    feeder = Feeder()
    _images(feeder, files, out, folder / "small.ckpt")
    _manifests(feeder, sorted((files / "manifests").iterdir()), out)
    _indexes(feeder, sorted((files / "indexes").iterdir()), out, folder / "faces")
    _checkpoints(feeder, sorted((files / "checkpoints").iterdir()), out, folder, much=much)
    _page(feeder, sorted((files / "images").iterdir())[:: 1 if much else 9], folder / "small.ckpt", out)
    return feeder


def _images(feeder, files, out, checkpoint):
    from addnet.predict import predict
    from addnet.prepare import prepare

    def predicted(where):
        fixed = ("detector.device=cpu", "workers=1", "quiet=true")
        return f"{len(predict(_cfg('predict', out, *fixed, input=where, ckpt=checkpoint)))} answers"

    def prepared(where):
        prepare(_cfg("prepare", out, "prepare.workers=1", input=where))
        return "prepared"

    for where in (files / "images", files / "special"):
        feeder("predict", predicted, [where], seconds=600)
        feeder("prepare", prepared, [where], seconds=600)


def _manifests(feeder, folders, out):
    from addnet.data.check import main as check

    def checked(where):
        (table,) = where.glob("manifest.*")
        return f"exit code {check(_cfg('train', out, 'data=manifest', **{'data.data_dir': table}))}"

    feeder("manifest", checked, folders)


def _module(out, **arguments):
    from addnet.data import DeepfakeDataModule

    module = DeepfakeDataModule(
        image_size=32,
        only_test=True,
        num_workers=0,
        index_dir=str(out / "index"),
        faces_dir=str(out / "faces"),
        **arguments,
    )
    module.prepare_data()
    module.setup("test")
    dataset = module.dataset("test")
    return f"{sum(dataset[row]['valid'] for row in range(len(dataset)))} rows"


def _indexes(feeder, files, out, faces):
    feeder("index", lambda file: _module(out, layout="index", index=str(file), data_dir=str(faces)), files)
    feeder("index alone", lambda file: _module(out, layout="index", index=str(file)), files)


def _checkpoints(feeder, files, out, folder, *, much):
    import torch

    from addnet.evaluate import data_module, decision_of, load_detectors

    def evaluated(file):
        data = {"data.index": folder / "index.parquet", "data.data_dir": folder / "faces"}
        cfg = _cfg("evaluate", out, "data=index", "device=cpu", ckpt=file, **data)
        (detector,) = load_detectors(cfg).values()
        decision_of(cfg, detector)
        data_module(cfg, detector, out)
        detector.predict(str(folder / "face.png"))
        return "whole"

    def on_its_own(file):
        cfg = _cfg("evaluate", out, "device=cpu", ckpt=file)
        (detector,) = load_detectors(cfg).values()
        data_module(cfg, detector, out)
        return "whole"

    feeder("evaluate", evaluated, files[:: 1 if much else 2])
    feeder("evaluate, no data named", on_its_own, files[:: 1 if much else 6])
    good = torch.load(folder / "small.ckpt", weights_only=True)["state_dict"]
    whole = out / "whole.ckpt"

    def with_weights(file):
        try:
            written = dict(torch.load(file, weights_only=True))
        except Exception as error:  # no file of torch: seen above
            raise UserError("cannot be changed") from error
        written["state_dict"] = good
        torch.save(written, whole)
        return evaluated(whole)

    feeder("evaluate, with all weights", with_weights, files[:: 8 if much else 12])
    whole.unlink(missing_ok=True)


def _page(feeder, files, checkpoint, out):
    from addnet.inference import Detector
    from addnet.inference.answering.asking import UploadLimits, Visit

    visit = Visit(Detector.from_checkpoint(checkpoint, device="cpu"), UploadLimits())
    feeder("page", lambda file: visit.ask(file).answer.verdict, files)
    visit.close()


def _stop(*_):
    raise TimeoutError("took too long")


def main(folder, much):
    """Prints outcomes by kind, what was wrong, the slowest file, and the most memory of this process and a child."""
    logging.disable(logging.ERROR)
    signal.signal(signal.SIGALRM, _stop)
    feeder = feed(Path(folder), much == "much")
    (peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    told = {"outcomes": feeder.outcomes, "wrong": feeder.wrong, "slowest": feeder.slowest, "seconds": feeder.seconds}
    sys.stdout.write("\n" + json.dumps(told | {"MiB": int(peak) / 1024, "MiB of a child": children / 1024}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
