"""A track is one person's, however people move, come and go."""

import numpy as np
import pytest

from addnet.errors import UserError
from addnet.faces import CropSettings
from addnet.faces.tracks import Tracker, is_cut, largest, link, longest_track


def box(x, y=100, side=40):
    """A square box around (x, y)."""
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], dtype=np.float32)


def test_a_person_who_moves_stays_one_track():
    assert link([[box(100 + 25 * step)] for step in range(8)]) == [[0]] * 8


def test_the_order_of_boxes_does_not_matter():
    left, right = box(50), box(200)
    assert link([[left, right], [right, left], [left, right]]) == [[0, 1], [1, 0], [0, 1]]


def test_people_who_cross_keep_their_numbers():
    frames = [[box(40 + 20 * step), box(215 - 20 * step, 104)] for step in range(10)]
    assert link(frames) == [[0, 1]] * 10


def test_people_who_cross_while_one_hides_the_other():
    frames = [[box(40 + 20 * step), box(220 - 20 * step, 104)] for step in range(10)]
    seen = [boxes if step not in (4, 5) else boxes[:1] for step, boxes in enumerate(frames)]
    assert [numbers[0] for numbers in link(seen)] == [0] * 10
    assert [numbers[1] for step, numbers in enumerate(link(seen)) if step not in (4, 5)] == [1] * 8


def test_a_head_that_sways_stays_one_track():
    places = [100, 130, 105, 128, 100, 131]  # where it was counts, not only where it was heading
    assert link([[box(x)] for x in places]) == [[0]] * 6


def test_someone_who_leaves_takes_the_number_along():
    frames = [[box(50), box(150)], [box(50)], [box(50)], [box(50)], [box(50)], [box(50), box(150)]]
    assert link(frames) == [[0, 1], [0], [0], [0], [0], [0, 2]]


@pytest.mark.parametrize(("missed", "number"), [(0, 0), (2, 0), (3, 1)])
def test_a_face_that_is_missed_for_a_moment_comes_back(missed, number):
    assert link([[box(50)], *[[]] * missed, [box(55)]])[-1] == [number]


def test_a_walker_is_met_where_the_walk_leads_after_every_gap():
    places = {0: 0, 1: 38, 4: 152, 7: 266, 8: 304}
    frames = [[box(places[step])] if step in places else [] for step in range(9)]
    assert [numbers for numbers in link(frames) if numbers] == [[0]] * 5


def test_a_jump_ends_a_track():
    assert link([[box(50)], [box(55)], [box(200)]]) == [[0], [0], [1]]


def test_a_face_of_another_size_in_the_same_place_is_another():
    assert link([[box(100, side=40)], [box(100, side=120)]]) == [[0], [1]]


def test_how_far_is_far_depends_on_the_size_of_the_face():
    assert link([[box(100, side=160)], [box(220, side=160)]]) == [[0], [0]]
    assert link([[box(100, side=40)], [box(220, side=40)]]) == [[0], [1]]


def test_a_cut_ends_all_tracks_even_in_the_same_place():
    tracker = Tracker()
    assert tracker.update([box(50), box(150)]) == [0, 1]
    assert tracker.update([box(50), box(150)], cut=True) == [2, 3]
    assert tracker.update([box(150), box(50)]) == [3, 2]


def test_the_nearest_pair_is_made_first():
    assert link([[box(100), box(130)], [box(128), box(160)]]) == [[0, 1], [1, 2]]


def test_nothing_gives_nothing():
    assert link([[], []]) == [[], []]
    assert longest_track([[], []], [[], []]) is None


def test_the_largest_box():
    assert largest([box(0, side=30), box(0, side=60), box(0, side=60)]) == 1


def test_the_longest_track_is_there_most_often():
    frames = [[box(50, side=30), box(200, side=90)], [box(50, side=30)], [box(50, side=30)]]
    assert longest_track(frames, link(frames)) == 0


def test_of_equally_long_tracks_the_larger_one():
    frames = [[box(50, side=30), box(200, side=90)]] * 3
    assert longest_track(frames, link(frames)) == 1


def test_a_cut_is_another_scene_and_not_a_movement():
    rng = np.random.default_rng(0)
    scene, other = (np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(2))
    assert not is_cut(scene, np.roll(scene, 15, axis=1))
    assert is_cut(scene, other)


@pytest.mark.parametrize("grey", [31, 60, 127, 200])  # 31 → 35 and 127 → 131 cross the border of a bin
def test_light_that_changes_a_little_is_no_cut(grey):
    wall = np.full((60, 80, 3), grey, dtype=np.uint8)
    assert not is_cut(wall, wall + np.uint8(4))
    assert is_cut(wall, wall + np.uint8(50))


def test_an_unknown_policy_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"prepare\.policy='longest_trak'.*Did you mean 'longest_track'"):
        CropSettings(policy="longest_trak")
