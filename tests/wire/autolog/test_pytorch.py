"""What autologging of PyTorch Lightning logs."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make autolog")
pytest.importorskip("lightning", reason="PyTorch Lightning is not installed: make autolog")

import lightning
import mlflow
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from torch.utils.data import DataLoader, TensorDataset


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.05)


def test_lightning(logged: Callable[[], Run], tmp_path: Path) -> None:
    torch.manual_seed(7)
    x = torch.randn(64, 2)
    loader = DataLoader(TensorDataset(x, x @ torch.tensor([[1.0], [2.0]])), batch_size=16)
    mlflow.pytorch.autolog(checkpoint=False)
    try:
        trainer = lightning.Trainer(
            max_epochs=3,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            default_root_dir=tmp_path,
            log_every_n_steps=1,
        )
        trainer.fit(Line(), loader, loader)
    finally:
        mlflow.pytorch.autolog(disable=True)
    run = logged()
    assert (run.data.params["optimizer_name"], run.data.params["epochs"]) == ("Adam", "3")
    history = MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    assert len(history) == 3
    assert history[-1].value < history[0].value
    (output,) = run.outputs.model_outputs
    model = mlflow.pytorch.load_model(f"models:/{output.model_id}")
    with torch.no_grad():
        assert model.layer(x).shape == (64, 1)
