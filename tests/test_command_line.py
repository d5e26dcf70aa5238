"""What people type: paths of any name arrive as they are, mistakes are answered first and shortly, help tells all."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from addnet.cli import overrides_of
from addnet.commands import COMMANDS, typed_as
from addnet.config import compose, expand_home
from addnet.config_help import help_text, parsed
from addnet.errors import UserError
from addnet.inference.inputs import Inputs
from addnet.launch import share_cores
from addnet.mistyped import FLAGS, answer, refuse_flags, refuse_options
from addnet.overrides import at_home, for_hydra, quoted, to_type
from addnet.predict import arguments_of
from config_keys import WORDS
from trainings import ended, launch

ROOT = Path(__file__).parents[1]
HARD = [
    "a b",
    "a (1)",
    "x=1",
    "c,d",
    "e#f",
    "it's",
    'q"q',
    "人脸",
    "[b]",
    "{b}",
    "${x}",
    "a${x}",
    "1e3",
    "2024",
    "b\\s",
]
HARD += [
    "epoch=3-step=9.ckpt",
    "-dash",
    "ü",
    "a;b",
    "a&b!",
    "100%",
    "@x",
    "a\\${x}",
    "end\\",
    "$x",
    "a:b",
    "f(1,2)",
    "<x>",
]


def read(argument):
    """What a config gets of an argument; several values where it is a sweep."""
    override = OverridesParser.create().parse_override(for_hydra(argument))
    if override.is_sweep_override():
        return [read(f"{override.key_or_group}={value}") for value in override.sweep_string_iterator()]
    value = OmegaConf.create({"key": override.value()}).key
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A folder with files of every name that people have, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in [*HARD, "a.ckpt", "b.ckpt", "null", "true"]:
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("name", HARD)
def test_a_path_that_exists_arrives_whatever_its_name(there, name):
    assert read(f"data.data_dir={name}") == name
    assert read(f"data.data_dir={there}/{name}") == f"{there}/{name}"
    assert read(f"ckpt=[a.ckpt,{name}]") == ["a.ckpt", name]
    assert read(f"data.train=[celebdf:{name},{name},b.ckpt]") == [f"celebdf:{name}", name, "b.ckpt"]
    assert read(f"ckpt={{plain: a.ckpt, other: {name}}}") == {"plain": "a.ckpt", "other": name}
    assert read(f"data.data_dir=a.ckpt,{name}") == ["a.ckpt", name]  # a sweep over both
    assert for_hydra(for_hydra(f"ckpt=[a.ckpt,{name}]")) == for_hydra(f"ckpt=[a.ckpt,{name}]")


@pytest.mark.parametrize(
    "argument",
    shlex.split(
        r"""
        seed=0,1 seed=2024 optimizer.lr=1e3 tags=[a,b] 'ablation=glob(*)' data.data_dir=null ~debug ckpt=[] ckpt=
        'optimizer.lr=choice(1,2)' "data.data_dir='a b'" train=true 'data.options={root:a b}' 'task=a b' --cfg -m
        'data.data_dir=${oc.env:HOME}/x' '+callbacks.x={_target_:y,z:1}' model=addnet 'data.data_dir=x\,y'
        'model.kernel_size=range(3,9,2)' hydra.run.dir=/x/y ckpt=a.ckpt,b.ckpt
        """
    ),
)
def test_what_hydra_reads_rightly_stays_as_it_was_typed(there, argument):
    assert for_hydra(argument) == argument


@pytest.mark.parametrize("value", ["new (1).onnx", "/x/人脸", "a=b.ckpt", "out{1}", "it's"])
def test_keys_of_paths_take_names_that_do_not_exist_yet(value):
    assert read(f"output={value}") == value
    assert read(f"+data.options.root={value}") == value


def test_other_keys_are_answered_with_the_line_to_type():
    with pytest.raises(HydraException) as caught:
        compose([r"data.group_pattern=img_(\d+)"])
    told = answer(caught.value, [r"data.group_pattern=img_(\d+)"])
    assert told.endswith("\n  'data.group_pattern=\"img_(\\d+)\"'\n")


@pytest.mark.parametrize("text", [*HARD, r"img_(\d+)", r"it's (\d+)", r"a'\${x}", "", "first"])
def test_the_line_to_type_survives_shell_and_grammar(text):
    (argument,) = shlex.split(to_type("data.group_pattern", text))
    key, value = argument.split("=", 1)
    assert key == "data.group_pattern"
    assert str(read(f"task={value}")) == text


def test_a_home_is_expanded_on_the_command_line_and_in_every_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/人")
    assert read("data.data_dir=~/faces") == "/home/人/faces"
    assert read("data.train=[celebdf:~/CDF,~/own (1)]") == ["celebdf:/home/人/CDF", "/home/人/own (1)"]
    entry = "{layout: faceforensics, data_dir: ~/FF (1), methods: [Deepfakes, FaceSwap], options: {compression: c40}}"
    said = {"layout": "faceforensics", "methods": ["Deepfakes", "FaceSwap"], "options": {"compression": "c40"}}
    for key in ("data.train", "data.val", "data.test"):
        assert read(f"{key}=[{entry},dfd:~/D]") == [said | {"data_dir": "/home/人/FF (1)"}, "dfd:/home/人/D"]
    assert read("hydra.run.dir=~") == "/home/人"
    cfg = OmegaConf.create({"data": {"data_dir": "~/x", "train": ["dfdc:~/y", "a~b"], "other": "${.data_dir}/z"}})
    expand_home(cfg)
    assert cfg.data == {"data_dir": "/home/人/x", "train": ["dfdc:/home/人/y", "a~b"], "other": "/home/人/x/z"}
    assert compose(["data.data_dir='~/x y'"]).data.data_dir == "/home/人/x y"
    assert at_home("~nobody-of-that-name/x") == "~nobody-of-that-name/x"


def test_where_hydra_writes_is_expanded_too(monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    hydra = OmegaConf.load(ROOT / "configs/hydra/default.yaml")
    cfg = OmegaConf.create({"paths": {"output_dir": "~/out/1"}, "run": hydra.run})
    assert cfg.run.dir == "/home/x/out/1"


def test_predict_takes_files_of_any_name(there):
    names = [*HARD, "--quiet.jpg"]
    (there / names[-1]).touch()
    words = arguments_of(["ckpt=a.ckpt", *names, "--quiet"])
    cfg = compose(overrides_of(words, command="predict"), config_name="predict")
    assert list(cfg.input) == names
    assert cfg.quiet
    assert arguments_of(["--", "-new.jpg"]) == ["input=['-new.jpg']"]


def test_images_of_any_name_are_found(there):
    for name in HARD:
        (there / f"{name}.jpg").touch()
    found = Inputs.of(list(compose(arguments_of([f"{name}.jpg" for name in HARD]), config_name="predict").input))
    assert [file.name for file in found.images] == [f"{name}.jpg" for name in HARD]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--data_dir faces --epochs 3", "data.data_dir=faces trainer.max_epochs=3"),
        ("--data_dir=faces seed=1 --pretrained", "data.data_dir=faces seed=1 model.pretrained=true"),
        ("--kernel_size 15", "model=bandpass model.kernel_size=15"),
        ("--device cuda:1 -m", "trainer.accelerator=gpu 'trainer.devices=[1]' -m"),
        ("--resume best.ckpt --save_dir=x(1)", "ckpt_path=best.ckpt 'paths.output_dir=\"x(1)\"'"),
        ("--optimizer.lr -1", "optimizer.lr=-1"),
        ("--max-epochs 3", "trainer.max_epochs=3"),
    ],
)
def test_flags_are_answered_with_the_line_to_type(typed, meant):
    with pytest.raises(UserError) as caught:
        refuse_flags(typed.split())
    assert str(caught.value).endswith(f"Type\n  addnet train {meant}")
    words = [word for word in shlex.split(meant) if not word.startswith("-")]
    compose(overrides_of(words, command="train"))


def test_flags_of_other_commands_are_answered_too():
    with pytest.raises(UserError, match=r"addnet predict ckpt=best\.ckpt input=a\.jpg$"):
        refuse_flags(["--ckpt", "best.ckpt", "--input", "a.jpg"], command="predict")


def test_flags_that_are_flags_here_stay():
    refuse_flags(["--cfg", "job", "--resume", "outputs/x", "--multirun", "--quiet", "--config-dir=x", "--", "--lr"])


def test_the_table_of_flags_is_that_of_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("| flag that users of the original scripts know |")[1]
    rows = [row.split("|") for row in text.split("\n\n")[0].splitlines()[2:]]
    named = {flag for row in rows for flag in re.findall(r"--(\w+)", row[1])}
    assert named == set(FLAGS)
    assert all(any(key in row[2] for row in rows) for key in FLAGS.values())


def test_sweeps_are_refused_where_there_are_none():
    with pytest.raises(UserError, match="-m works only with addnet train"):
        refuse_options(["-m", "ckpt=a,b"], command="predict")
    refuse_options(["-m", "seed=0,1"], command="train")
    with pytest.raises(UserError, match="--foo is not an option"):
        refuse_options(["--foo"])


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("+seed_everything=7", "seed_everything is not a setting here; use seed=0"),
        ("trainer.logger=false", "trainer.logger is not a setting here; use logger=csv"),
        ("+trainer.callbacks=null", "trainer.callbacks is not a setting here; use callbacks=none"),
        ("trainer.enable_progress_bar=false", "use callbacks.progress_bar=null"),
        ("model=false", "model=false: model takes the name of a file: addnet, bandpass, timm"),
    ],
)
def test_keys_of_lightning_are_answered_with_those_here(typed, told):
    with pytest.raises(UserError) as caught:
        overrides_of([typed], command="train")
    assert told in str(caught.value)


def test_what_the_answers_to_users_of_lightning_name_composes():
    for said in ["seed=0", "logger=csv", "logger=[csv,tensorboard]", "callbacks=[best,last]", "callbacks.last=null"]:
        compose([said])
    off = overrides_of(["logger=false", "callbacks=null", "+trainer.enable_progress_bar=false"], command="train")
    cfg = compose(off)
    assert cfg.logger == cfg.callbacks == {}
    assert cfg.trainer.enable_progress_bar is False


def test_a_config_of_another_command_is_refused():
    with pytest.raises(UserError, match="--config-name=evaluate is the config of another command; use addnet evaluate"):
        refuse_options(["--config-name", "evaluate"], command="train")
    refuse_options(["--config-name", "train"], command="train")


@pytest.mark.parametrize(
    ("module", "words", "shown"),
    [
        ("train", ["seed=3"], "seed: 3"),
        ("predict", ["face.jpg", "mirror=true"], "mirror: true"),
        ("data", ["check"], "seed: 0"),
    ],
)
def test_the_config_is_printed_by_the_flags_of_lightning_and_of_hydra(module, words, shown):
    typed = (["--cfg", "job"], ["--print-config"], ["--print_config"])
    hydra, *lightning = [ended(launch(*words, *asked, module=f"addnet.{module}")) for asked in typed]
    assert shown in hydra
    assert lightning == [hydra, hydra]


@pytest.mark.parametrize(
    ("command", "typed", "first"),
    [
        ("train", "optimizer.lrr=1", "'optimizer.lrr' is not a known key; did you mean optimizer.lr?"),
        ("train", "model=bandpas", "model=bandpas: there is no such file; did you mean model=bandpass?"),
        ("train", "data=celebd", "data=celebd: there is no such file; did you mean data=celebdf?"),
        ("train", "modle=bandpass", "'modle' is not a known key; did you mean model?"),
        ("evaluate", "robustness=lader", "robustness=lader: there is no such file; did you mean robustness=ladder?"),
        ("predict", "image.kind=crops", "'image.kind' is not a known key; did you mean images.kind?"),
        ("predict", "pictures.kind=crops", "'pictures.kind' is now called 'images.kind'"),
        ("train", "data.nothing_like_it=1", "'data.nothing_like_it' is not a known key; --help lists them"),
        ("train", "faces", "'faces' is neither KEY=VALUE nor an option"),
    ],
)
def test_a_mistake_is_answered_in_one_line(command, typed, first):
    with pytest.raises(HydraException) as caught:
        compose([typed], config_name=COMMANDS[command].config)
    told = answer(caught.value, [typed], command=command)
    assert told.startswith(first)
    assert told.count("\n") == 1


def test_values_of_a_sweep_without_one_are_answered():
    told = answer(HydraException(), ["seed=0,1"])
    assert "seed=[0,1]" in told
    assert "-m in front" in told
    assert "-m" not in answer(HydraException(), ["seed=0,1"], command="evaluate")


def test_what_nobody_mistyped_keeps_hydras_words():
    with pytest.raises(HydraException) as caught:
        compose(["+optimizer.lr=1"])
    assert "Either remove + prefix" in answer(caught.value, ["+optimizer.lr=1"])


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_compose(name):
    said = COMMANDS[name]
    for arguments, _ in said.examples:
        words = shlex.split(arguments)
        words = WORDS[name](words) if name in WORDS else words
        single = [word.split(",")[0] for word in words if word != "-m"] if "-m" in words else words
        if said.config:
            compose(overrides_of(single, command=name), config_name=said.config)


CONFIGURED = [name for name, said in COMMANDS.items() if said.config]


@pytest.mark.parametrize("name", CONFIGURED)
def test_help_says_what_a_command_is_for_and_shows_the_comments(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = help_text(name)
    assert text.startswith(COMMANDS[name].purpose)
    assert text.count(typed_as(name)) > len(COMMANDS[name].examples)
    assert bool(re.search(r"-m\b(?! addnet)", re.sub(r"\w-m", "", text))) == COMMANDS[name].sweeps
    told = " ".join(text.replace("#", " ").split())
    keys = {"data check": "groups in both train and test", "models": "ImageNet weights through timm"}
    keys |= {"train": "the best checkpoint once", "predict": "every n-th frame; overrides frames"}
    assert keys.get(name, "") in told
    assert not [line for line in text.split("Config:")[1].splitlines() if len(line) > 80 and re.search(r"# \S+ ", line)]


def test_help_shows_the_files_that_were_chosen():
    text = help_text("train", ["model=bandpass", "data=manifest", "optimizer.lr=0.5"])
    assert re.search(r"kernel_size: 31 +# taps of each Gaussian, odd", text)
    assert "A table with one row per image or video" in text
    assert re.search(r"group_pattern: null +# regular expression", text)  # of the file that it builds on
    assert "lr: 0.5" in text


@pytest.mark.parametrize("file", sorted(ROOT.glob("configs/*/*.yaml")) + sorted(ROOT.glob("configs/*.yaml")), ids=str)
def test_no_comment_of_a_config_is_lost(file):
    text = file.read_text(encoding="utf-8")
    found = parsed(text)
    told = " ".join([found.header, *found.beside.values(), *found.above.values()])
    for line in text.splitlines():
        if comment := re.search(r"(?:^|\s)#\s*(.*)", line):
            assert comment[1].strip() in told or "@package" in line or re.match(r"  - ", line), line  # of the defaults


def test_a_path_is_quoted_for_the_grammar_exactly():
    for text in (*HARD, "\\\\${a}", "'\\'", "\\\\'", "a\\'${b}\\"):
        assert read(f"task={quoted(text)}") == text


SPINS, WAITS = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"


@pytest.mark.parametrize("chosen", [{}, {SPINS: "7"}, {WAITS: "active"}])
def test_waiting_threads_leave_the_cores_to_others_unless_the_user_chose(monkeypatch, chosen):
    for name in (SPINS, WAITS):
        monkeypatch.setenv(name, chosen.get(name, ""))  # so that it is restored after the test
        if name not in chosen:
            monkeypatch.delenv(name)
    share_cores()
    found = {name: os.environ[name] for name in (SPINS, WAITS) if name in os.environ}
    assert found == chosen or (not chosen and int(found[SPINS]) < 300_000)  # GNU's default


@pytest.mark.parametrize("command", ["train", "data check"])
def test_every_command_says_so_before_torch_is_imported(command):
    name, *rest = command.split()
    code = f"import os, sys; sys.argv = ['addnet', *{[name, *rest, '--help']}]\n"
    code += "from addnet.__main__ import main\ntry: main()\nexcept SystemExit as end: assert not end.code\n"
    code += f"sys.exit('torch' in sys.modules or '{SPINS}' not in os.environ)"
    environment = {name: value for name, value in os.environ.items() if name not in (SPINS, WAITS)}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment, timeout=120)
