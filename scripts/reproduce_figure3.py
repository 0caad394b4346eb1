"""Make figure 3 of the paper: the guidance map of several pictures.

    python scripts/reproduce_figure3.py --set root=FOLDER_OF_PICTURES
    python scripts/reproduce_figure3.py --demo

Further arguments are those of `guidedcam figure`; configs/figure3.yaml says what is shown.
"""

import reproduce

if __name__ == "__main__":
    reproduce.figure(3)
