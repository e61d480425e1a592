# SPDX-License-Identifier: Apache-2.0
"""Where the labelled sets lie that scores are measured on; nothing here is ever learnt from."""

from pathlib import Path

_HERE = Path(__file__).parent
SCENES = _HERE / "scenes"  # 1,000 rendered scenes of the training sets' kind, with other people
PANOPTIC = _HERE / "panoptic"  # 2,400 with other cameras and looks as well, in CMU Panoptic's role
WALKS = _HERE / "walks"  # videos of people who walk, for tracking
FILMS = _HERE / "gestures"  # videos of people who nod, shake, turn, tilt, look up and down
PHOTOS = _HERE / "photos"  # labels by hand of photographs, which are not part of the repository
