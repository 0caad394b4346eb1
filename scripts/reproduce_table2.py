"""Make table 2 of the paper: drop and increase of both zones on MS-COCO 2014.

    python scripts/reproduce_table2.py --set data.root=COCO

Further arguments are those of `guidedcam evaluate`; configs/table2_*.yaml say what is measured.
"""

import reproduce

if __name__ == "__main__":
    reproduce.table(2)
