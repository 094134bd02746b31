from brainclock.config import RunSettings as RunSettings
from brainclock.config import load_settings as load_settings
from brainclock.errors import BrainclockError as BrainclockError
from brainclock.explain.explain import explain as explain
from brainclock.io.find import find_scans as find_scans
from brainclock.io.nifti import read_volume as read_volume
from brainclock.io.volume import Volume as Volume
from brainclock.model.folder import load_model as load_model
from brainclock.predict.predict import predict as predict
from brainclock.predict.study import read_study as read_study
from brainclock.prepare.chain import prepare_volume as prepare_volume
from brainclock.simulate.head import simulate_head as simulate_head
from brainclock.stats.gap import analyse_gap as analyse_gap
from brainclock.stats.plan import GapPlan as GapPlan
from brainclock.stats.study import Study as Study
from brainclock.train.brain_age_regressor import BrainAgeRegressor as BrainAgeRegressor
from brainclock.train.rank_n_contrast import RankNContrast as RankNContrast
from brainclock.train.rank_n_contrast import rank_n_contrast as rank_n_contrast
from brainclock.train.run import train as train

__version__: str
__all__: list[str]
