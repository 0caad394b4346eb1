"""Make table 3 of the paper: drop and increase of both zones on ImageNet.

    python scripts/reproduce_table3.py --set data.root=FOLDER_OF_PICTURES

Further arguments are those of `guidedcam evaluate`; configs/table3_*.yaml say what is measured.
"""

import reproduce

if __name__ == "__main__":
    reproduce.table(3)
