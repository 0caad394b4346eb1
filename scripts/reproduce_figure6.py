"""Make figure 6 of the paper: insertion and deletion curves.

    python scripts/reproduce_figure6.py --set root=FOLDER_OF_PICTURES
    python scripts/reproduce_figure6.py --demo

Further arguments are those of `guidedcam figure`; configs/figure6.yaml says what is shown.
"""

import reproduce

if __name__ == "__main__":
    reproduce.figure(6)
