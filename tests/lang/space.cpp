#include "zmlx/lang/space.h"

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::lang {
namespace {

TEST(Space, WhatInputsMeetIn) {
  const Role roles[] = {
      Role::Element,
      Role::EachRow,
      Role::Row,
      Role::Table,
      Role::Scalar,
      Role::Whole};
  const Shape shapes[] = {{3, 1, 5}, {3, 4}, {4, 9}, {7, 2, 5}, {}, {11, 13}};
  EXPECT_EQ(meeting_space({}, roles, shapes), (Shape{3, 4, 5}));
  EXPECT_EQ(meeting_space({}, {}, {}), Shape{});
}

TEST(Space, LastAxesThatInputsLeaveOpen) {
  // Rows of 6 packed words in a row of its own: as many places as the last axis
  // of the other input says.
  const Role roles[] = {Role::Row, Role::Element};
  const Shape shapes[] = {{4, 6}, {1}};
  const AxisLength twice[] = {{0, -1, 2}};
  EXPECT_EQ(meeting_space(twice, roles, shapes), (Shape{4, 12}));
  const AxisLength leading[] = {{-1, -1, 3}, {0, 0}, {0, 1, 1, 4, true}};
  EXPECT_EQ(meeting_space(leading, roles, shapes), (Shape{3, 4, 2}));
  const AxisLength other[] = {{-1, -1, 5}, {-1, -1, 12}};
  EXPECT_THROW(meeting_space(other, roles, shapes), UserError);
}

TEST(Space, LengthsOfAxes) {
  const Shape shapes[] = {{4, 6}};
  EXPECT_EQ(find_length({0, -1, 5}, shapes), 30);
  EXPECT_EQ(find_length({0, 0, 3, 2}, shapes), 6);
  EXPECT_EQ(find_length({0, 1, 1, 4, true}, shapes), 2);
  EXPECT_EQ(find_length({-1, -1, 7}, shapes), 7);
  EXPECT_FALSE(find_length({0, 1, 1, 4}, shapes)) << "6 is no multiple of 4";
  EXPECT_FALSE(find_length({0, 2}, shapes));
  EXPECT_FALSE(find_length({0, -3}, shapes));
  EXPECT_EQ(find_axis({0, -1}, shapes[0]), 1);
  EXPECT_FALSE(find_axis({0, 2}, shapes[0]));
}

} // namespace
} // namespace zmlx::lang
