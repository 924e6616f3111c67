# SPDX-License-Identifier: Apache-2.0
"""What a question costs, from agreement and question alone.

`epsilon` of an ask is converted with OpenDP at the agreement's delta, rounded down;
what a release costs is the exact loss of its noise, rounded up.
"""

from __future__ import annotations

from fractions import Fraction

from accord.core.agreement import Agreement
from accord.core.epsilon_delta import granted
from accord.core.privacy import Accounting, Loss, nano_down
from accord.hub.questions.conversion import epsilon_of, largest_rho
from accord.rpc.codec import loss_to_message
from accord.v1 import analyst_pb2, common_pb2


def loss_for(agreement: Agreement, epsilon: Fraction) -> Loss:
    """Return the most that may be lost for *epsilon*, in the agreement's unit.

    Raises:
        InvalidQuery: EPSILON_TOO_SMALL or EPSILON_INVALID.
    """
    match agreement.accounting:
        case Accounting.ZCDP:
            return Loss(nano_rho=largest_rho(epsilon, delta_of(agreement)))
        case Accounting.PURE:
            return Loss(nano_epsilon=granted(nano_down(epsilon)))


def epsilon_for(agreement: Agreement, loss: Loss) -> Fraction:
    """Return a loss as epsilon at the agreement's delta, rounded up."""
    match agreement.accounting:
        case Accounting.ZCDP:
            return epsilon_of(loss.nano_rho, delta_of(agreement))
        case Accounting.PURE:
            return loss.epsilon


def delta_of(agreement: Agreement) -> Fraction:
    """Return the agreement's delta; 0 under pure accounting."""
    return agreement.form.spend.delta or Fraction(0)


def cost_message(agreement: Agreement, loss: Loss) -> analyst_pb2.Cost:
    """Return what a loss means in both ways to state it."""
    return analyst_pb2.Cost(
        loss=loss_to_message(loss),
        epsilon=float(epsilon_for(agreement, loss)),
        rho=float(loss.rho),
    )


def nothing() -> analyst_pb2.Cost:
    """Return what a repeat costs."""
    return analyst_pb2.Cost(loss=common_pb2.Loss())
